-- As update-rows.sql finds them.
delete from public.{{table}} as t
using (values {{typesRow}}, {{rowsOfParameters}}) as run ({{columns}})
where {{sameKey}};
