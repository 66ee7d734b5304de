-- Every sequence in public, with the columns that take their numbers from it: by a default, or as an identity.
select s.relname::text as "sequence", t.relname::text as "table", a.attname::text as "column"
from pg_class s
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid and d.classid = 'pg_attrdef'::regclass
join pg_attrdef f on f.oid = d.objid
join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
join pg_class t on t.oid = a.attrelid
where s.relkind = 'S' and s.relnamespace = 'public'::regnamespace and t.relnamespace = s.relnamespace
union
select s.relname::text, t.relname::text, a.attname::text
from pg_class s
join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.deptype in ('a', 'i')
  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
join pg_class t on t.oid = a.attrelid
where s.relkind = 'S' and s.relnamespace = 'public'::regnamespace and t.relnamespace = s.relnamespace
order by 1, 2, 3;
