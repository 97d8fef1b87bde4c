DROP TABLE trail_history;
