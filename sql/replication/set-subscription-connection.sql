alter subscription {{subscription}} connection {{connection}};
