drop role {{role}};
