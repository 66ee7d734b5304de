create subscription {{subscription}} connection {{connection}} publication {{publication}}
with (slot_name = {{slot}}, create_slot = false, binary = {{binary}}, streaming = on, disable_on_error = false);
