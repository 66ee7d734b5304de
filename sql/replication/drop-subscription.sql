drop subscription {{subscription}};
