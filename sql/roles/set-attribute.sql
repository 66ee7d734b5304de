alter role {{role}} with {{attribute}};
