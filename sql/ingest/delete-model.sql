delete from models
where id = ? and state = 'retired' and id < (select max(id) from models)
