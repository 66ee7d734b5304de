copy (
  select term, basis from model_terms where model_id = {{model}} order by term
) to stdout (format binary)
