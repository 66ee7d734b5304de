alter role {{role}} set {{setting}} = {{value}};
