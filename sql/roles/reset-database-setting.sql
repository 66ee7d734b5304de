alter role {{role}} in database {{database}} reset {{setting}};
