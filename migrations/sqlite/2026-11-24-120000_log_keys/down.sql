DROP TABLE trail_keys;
