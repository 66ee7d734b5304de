create role {{role}} with login replication password {{verifier}};
