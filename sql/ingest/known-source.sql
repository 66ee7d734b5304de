select visibility from sources where id = ?
