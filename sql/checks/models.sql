select
  m.id,
  m.dimensions,
  m.state
from models m
order by m.id;
