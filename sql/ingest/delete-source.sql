delete from sources where id = ?
