alter subscription {{subscription}} set (binary = {{binary}}, streaming = on, disable_on_error = false);
