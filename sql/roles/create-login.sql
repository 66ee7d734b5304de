create role {{role}} with login connection limit {{limit}} password {{verifier}};
