grant {{privilege}} on {{kind}} {{name}} to {{role}};
