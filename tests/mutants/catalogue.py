"""All mutants: what breaks clauses, what takes conditions away, and other mistakes that people make."""

from mutants.children import CHILDREN_OF_STEPS
from mutants.clauses import CLAUSES
from mutants.conditions import CONDITIONS
from mutants.conditions_of_callers import CONDITIONS_OF_CALLERS
from mutants.events import EVENTS
from mutants.limits import LIMITS
from mutants.people import PEOPLE
from mutants.people_in_the_engine import PEOPLE_IN_THE_ENGINE
from mutants.pools import POOLS
from mutants.schedules import SCHEDULES
from mutants.undo import UNDOING
from mutants.waits import WAITING

CATALOGUE = (
    *CLAUSES,
    *CONDITIONS,
    *CONDITIONS_OF_CALLERS,
    *POOLS,
    *LIMITS,
    *EVENTS,
    *CHILDREN_OF_STEPS,
    *SCHEDULES,
    *WAITING,
    *UNDOING,
    *PEOPLE,
    *PEOPLE_IN_THE_ENGINE,
)
