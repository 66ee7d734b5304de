revoke {{privilege}} on {{kind}} {{name}} from {{role}};
