update models set state = 'retired' where state = 'active'
