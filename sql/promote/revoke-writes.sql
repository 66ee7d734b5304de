revoke insert, update, delete, truncate on table {{tables}} from {{role}};
