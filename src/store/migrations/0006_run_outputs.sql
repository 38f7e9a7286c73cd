-- What runs wrote, as far as it is kept for searching: rowid is the run's key. The text is kept too: without it a row
-- could not be taken out of the index.
CREATE VIRTUAL TABLE run_outputs USING fts5 (text, tokenize = 'unicode61', columnsize = 0);
