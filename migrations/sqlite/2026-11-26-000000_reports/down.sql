ALTER TABLE own_versions DROP COLUMN report;
