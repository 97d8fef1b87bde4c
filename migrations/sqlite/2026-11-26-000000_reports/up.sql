-- The assessment document of a version: what the checks found, by digest (own_documents).
ALTER TABLE own_versions ADD COLUMN report TEXT NOT NULL DEFAULT '';
