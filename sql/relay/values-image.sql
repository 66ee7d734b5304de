select to_jsonb(r)::text as "image" from (select {{parameters}}) r;
