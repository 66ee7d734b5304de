-- $1: slot, $2: [{table, number, from: [text] | null, to: [text] | null}]
insert into public.relay_ranges (slot, table_name, number, key_from, key_to)
select $1, r."table", r.number,
  case when jsonb_typeof(r."from") = 'array' then
    array(select e.value from jsonb_array_elements_text(r."from") with ordinality as e (value, place) order by e.place) end,
  case when jsonb_typeof(r."to") = 'array' then
    array(select e.value from jsonb_array_elements_text(r."to") with ordinality as e (value, place) order by e.place) end
from jsonb_to_recordset($2::jsonb) as r ("table" text, number integer, "from" jsonb, "to" jsonb);
