-- What an image from a registry says of how its command runs: one line of JSON; empty: nothing.
ALTER TABLE image_sources ADD COLUMN config TEXT NOT NULL DEFAULT '';
-- Which runs used an image is asked by its digest.
CREATE INDEX runs_by_image_digest ON runs (image_digest, created_at);
