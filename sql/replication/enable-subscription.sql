alter subscription {{subscription}} enable;
