-- A segment from the middle of the collection: its words are a question that has an answer.
select text from segments
where visibility = 'public'
order by id
limit 1 offset (select count(*) / 2 from segments where visibility = 'public')
