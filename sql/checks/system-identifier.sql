select system_identifier::text as "systemIdentifier" from pg_control_system();
