truncate table {{tables}} {{identity}};
