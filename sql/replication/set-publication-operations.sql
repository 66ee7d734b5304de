alter publication {{publication}} set (publish = 'insert, update, delete, truncate');
