DROP TABLE own_seals;
DROP TABLE own_refusals;
