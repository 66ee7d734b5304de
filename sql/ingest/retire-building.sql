update models set state = 'retired' where state = 'building' and id = ?
