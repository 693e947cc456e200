//! The simulation is not blind: with something wrong planted in the decision it reports the rule that is broken.
