set transaction snapshot {{snapshot}};
