CREATE VIEW a AS SELECT id FROM read_csv('in/people.csv');
COPY a TO 'x.csv'
