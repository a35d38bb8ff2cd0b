CREATE VIEW a AS SELECT * FROM read_csv('in/people.csv');
CREATE VIEW A AS SELECT id FROM a;
COPY a TO 'x.csv'
