alter subscription {{subscription}} set (slot_name = none);
