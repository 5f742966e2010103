//! The sale's workers, as the parent sees them.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ticket_reservation::ports::Repository;

use crate::args::KillPoint;
use crate::failure::Failure;
use crate::link::{self, Channels, Message};
use crate::meter::Progress;
use crate::sale::Orders;
use crate::terminal::tell;
use crate::worker;

/// How long all workers together may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a worker that has done its work may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Ready,
    Selling,
    Done,
    /// By us.
    Killed,
    /// It ended before its work did.
    Lost,
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) state: State,
    /// Where it stands still, if it does.
    pub(crate) halted: Option<KillPoint>,
    /// What it has counted, as far as it told.
    pub(crate) progress: Progress,
    /// How many buyers are its own.
    pub(crate) buyers: u64,
    runner: Runner,
}

#[derive(Debug)]
enum Runner {
    Process(Child),
    Thread(Sender<()>),
}

/// All workers.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) members: Vec<Member>,
    inbox: Receiver<(usize, Message)>,
}

impl Crew {
    /// Starts a process for each of the orders.
    pub(crate) fn of_processes(orders: &[Orders]) -> Result<Self, Failure> {
        let (outbox, inbox) = mpsc::channel();
        let mut crew = Self { members: Vec::new(), inbox };
        for (at, orders) in orders.iter().enumerate() {
            let child = start(at, orders, outbox.clone())
                .map_err(|error| Failure::caused(format!("worker {} cannot be started", orders.worker), &error))?;
            crew.members.push(Member::new(orders, Runner::Process(child)));
        }
        Ok(crew)
    }

    /// Starts the one worker of a store that lives in this process.
    pub(crate) fn of_one_thread(orders: Orders, repository: Arc<dyn Repository>) -> Self {
        let (outbox, inbox) = mpsc::channel();
        let (go, wait_for_go) = mpsc::channel();
        let members = vec![Member::new(&orders, Runner::Thread(go))];
        thread::spawn(move || {
            let mut link = Channels { worker: 0, to_parent: outbox.clone(), go: wait_for_go };
            if let Err(failure) = worker::run(&orders, Some(repository), &mut link) {
                tell(format_args!("flash_sale: worker 1: {failure}"));
            }
            // Nobody listens any more when the parent is through.
            let _ = outbox.send((0, Message::Gone));
        });
        Self { members, inbox }
    }

    /// Waits until everybody is ready, and then lets them go all at once.
    pub(crate) fn go(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        while self.members.iter().any(|member| member.state == State::Starting) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::broken("the workers did not get ready in time"));
            }
            self.listen(left);
            if let Some(at) = self.members.iter().position(|member| member.state == State::Lost) {
                return Err(Failure::broken(format!("worker {} did not get ready", at + 1)));
            }
        }
        for (at, member) in self.members.iter_mut().enumerate() {
            member.state = State::Selling;
            let told = match &mut member.runner {
                Runner::Thread(go) => go.send(()).is_ok(),
                Runner::Process(child) => {
                    let line = format!("{}\n", link::GO);
                    child.stdin.as_mut().is_some_and(|stdin| stdin.write_all(line.as_bytes()).is_ok())
                }
            };
            if !told {
                return Err(Failure::broken(format!("worker {} is gone", at + 1)));
            }
        }
        Ok(())
    }

    /// Lets those go on who were held back until everybody was killed.
    pub(crate) fn open(&mut self) {
        self.tell_selling(link::OPEN);
    }

    /// Lets one go on of those whom each worker holds back.
    pub(crate) fn call_one_each(&mut self) {
        self.tell_selling(link::ONE);
    }

    fn tell_selling(&mut self, word: &str) {
        self.members.iter_mut().filter(|member| member.state == State::Selling).for_each(|member| member.tell(word));
    }

    /// Kills everybody who still sells. A worker that is no process cannot be.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.members.iter_mut().filter(|member| member.state == State::Selling).try_for_each(|it| it.kill(State::Lost))
    }

    /// Takes in everything that was said, waiting at most so long for something.
    pub(crate) fn listen(&mut self, patience: Duration) {
        let mut next = self.inbox.recv_timeout(patience);
        loop {
            match next {
                Ok((at, message)) => self.members[at].heard(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            next = self.inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
    }

    /// What all have counted together.
    pub(crate) fn progress(&self) -> Progress {
        self.members.iter().fold(Progress::default(), |sum, member| sum.plus(member.progress))
    }

    /// How many buyers have been served or still can be.
    pub(crate) fn buyers(&self) -> u64 {
        let of = |member: &Member| match member.state {
            State::Killed | State::Lost => member.progress.finished,
            _ => member.buyers,
        };
        self.members.iter().map(of).sum()
    }

    /// Whether nobody sells any more.
    pub(crate) fn is_through(&self) -> bool {
        self.members.iter().all(|member| matches!(member.state, State::Done | State::Killed | State::Lost))
    }

    /// The numbers, from 1, of those in a state.
    pub(crate) fn numbers(&self, state: State) -> impl Iterator<Item = usize> {
        (1..).zip(&self.members).filter(move |(_, member)| member.state == state).map(|(number, _)| number)
    }
}

impl Member {
    fn new(orders: &Orders, runner: Runner) -> Self {
        let (all, step) = (u64::from(orders.sale.buyers), u64::from(orders.sale.processes));
        let buyers = (all + step - u64::from(orders.worker)) / step;
        Self { state: State::Starting, halted: None, progress: Progress::default(), buyers, runner }
    }

    fn heard(&mut self, message: Message) {
        match message {
            // It was said before it was killed.
            Message::Done(_) | Message::Ready if matches!(self.state, State::Killed | State::Lost) => {}
            Message::Gone if matches!(self.state, State::Done | State::Killed) => {}
            Message::Ready => self.state = State::Ready,
            Message::Progress(progress) => self.progress = progress,
            Message::Halted(point) => self.halted = Some(point),
            Message::Done(progress) => {
                self.progress = progress;
                self.state = State::Done;
            }
            Message::Gone => self.state = State::Lost,
        }
    }

    /// Lets it come to the point where it is to be killed, and no further.
    pub(crate) fn halt(&mut self) {
        self.tell(link::HALT);
    }

    fn tell(&mut self, word: &str) {
        if let Some(stdin) = self.process().and_then(|child| child.stdin.as_mut()) {
            // Who is gone meanwhile is noticed as such.
            let _ = stdin.write_all(format!("{word}\n").as_bytes());
        }
    }

    /// Ends its process at once, and says what it is then.
    pub(crate) fn kill(&mut self, state: State) -> io::Result<()> {
        let child = self.process().ok_or(io::ErrorKind::Unsupported)?;
        child.kill()?;
        child.wait()?;
        self.state = state;
        Ok(())
    }

    /// Its process, if it has one.
    pub(crate) fn process(&mut self) -> Option<&mut Child> {
        match &mut self.runner {
            Runner::Process(child) => Some(child),
            Runner::Thread(_) => None,
        }
    }
}

impl Drop for Crew {
    /// Leaves no process behind.
    fn drop(&mut self) {
        for member in &mut self.members {
            let ends = member.state == State::Done;
            let Some(child) = member.process() else { continue };
            let deadline = Instant::now() + if ends { ENDS_WITHIN } else { Duration::ZERO };
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(1));
            }
            // A process that has ended already cannot be killed, and that is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(at: usize, orders: &Orders, outbox: Sender<(usize, Message)>) -> io::Result<Child> {
    let mut child =
        Command::new(env::current_exe()?).arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = serde_json::to_vec(orders)?;
    line.push(b'\n');
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(&line)?;
    }
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            for message in lines.filter_map(|line| Message::parse(&line)) {
                // Nobody listens any more when the parent is through.
                let _ = outbox.send((at, message));
            }
            let _ = outbox.send((at, Message::Gone));
        });
    }
    Ok(child)
}
