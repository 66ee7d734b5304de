alter role {{role}} with password {{verifier}};
