truncate {{tables}};
