alter subscription {{subscription}} disable;
