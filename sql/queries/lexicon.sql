select term, documents from lexicon
