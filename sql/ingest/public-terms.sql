-- Ordered, because a fit's result depends on the order.
copy (
  select terms, counts from segment_terms where visibility = 'public' order by segment_id
) to stdout (format binary)
