select documents, average_length from collection where id = 1
