select id, name, kind, fingerprint, dimensions, words_weight, vector_weight
from models
where state = 'active'
