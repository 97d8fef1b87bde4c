DROP FUNCTION unixepoch();
DROP TABLE own_openings;
DROP TABLE own_meta;
DROP TABLE own_keys;
DROP TABLE published;
DROP TABLE trail_signed;
DROP TABLE head;
DROP TABLE entries;
