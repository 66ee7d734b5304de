-- Rows that are there once each; the first one, which no key equals, gives the parameters the types of the table's columns.
update public.{{table}} as t set {{assignments}}
from (values {{typesRow}}, {{rowsOfParameters}}) as run ({{columns}})
where {{sameKey}};
