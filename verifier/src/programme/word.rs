//! The closed vocabularies of a programme file (PROGRAMMES §1): one enum a key, spelt once.

/// Declares an enum whose variants are words of the file, with `as_str`, `parse` and the JSON form of the same word.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = concat!("`", $word, "`. ")] $(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every word of this vocabulary, in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word as the file spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        packed_word!($name);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&word).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    serde::de::Error::custom(format!("expected one of {}", known.join(", ")))
                })
            }
        }
    )*};
}

words! {
    /// What a voucher may be spent on.
    Scheme { Compute = "compute", Data = "data", Model = "model", }
    /// How sure we are of the file.
    Status { Verified = "verified", Press = "press", Draft = "draft", Template = "template", Pending = "pending", }
    /// The level of government that issues the programme.
    Level { National = "national", Province = "province", City = "city", District = "district", Zone = "zone", }
    /// The grade of a legal source: government site, named outlet, repost (facts/programmes.md).
    Grade { A = "A", B = "B", C = "C", }
    /// What happens to a budget year's rest.
    Lapse { Treasury = "treasury", Carry = "carry", }
    /// Who pays whom first.
    Mode {
        /// The buyer pays net, the seller is repaid.
        Deduct = "deduct",
        /// The buyer pays gross and is repaid.
        Reimburse = "reimburse",
        /// A reserve fund at the provider, paid before anything is earned.
        Advance = "advance",
        /// A case pays the supply side; there is no order.
        Award = "award",
    }
    /// Who receives the money.
    Payee { Seller = "seller", Buyer = "buyer", EitherOnce = "either_once", }
    /// How a voucher comes to be.
    Issue {
        /// By an application, which is a case.
        Application = "application",
        /// Without application (免申即享).
        Automatic = "automatic",
        /// There is no voucher object.
        None = "none",
    }
    /// The act that takes money out of the fund.
    CommitAt { Issue = "issue", Order = "order", Settlement = "settlement", }
    /// What happens when the pot is empty.
    Exhaustion { FirstCome = "first_come", Queue = "queue", Prorate = "prorate", Decision = "decision", }
    /// Where a voucher's amount comes from.
    Face { Computed = "computed", Fixed = "fixed", Chosen = "chosen", }
    /// What only one voucher or claim may name (查重).
    OnePer {
        Contract = "contract", Invoice = "invoice", Holder = "holder", HolderLife = "holder_life", Site = "site",
    }
    /// What the seller invoices.
    Invoice { Gross = "gross", Net = "net", None = "none", }
    /// Acts that need a party's own signature.
    Sign { Order = "order", Acceptance = "acceptance", ClaimBuyer = "claim_buyer", ClaimSeller = "claim_seller", }
    /// What happens to use beyond the hold.
    Overrun { Cap = "cap", Refuse = "refuse", }
    /// How often an application window comes back.
    Recurring { None = "none", Month = "month", Quarter = "quarter", Year = "year", }
    /// Whose fact a rule reads.
    Of {
        Holder = "holder", Seller = "seller", Site = "site", Dataset = "dataset", Contract = "contract",
        Order = "order",
    }
    /// What an unknown fact does to a requirement.
    OnUnknown { Manual = "manual", Refuse = "refuse", }
    /// Who may set a requirement aside.
    Waive { Decision = "decision", }
    /// A way in which buyer and seller can be too close.
    Relation {
        SameParty = "same_party", SameGroup = "same_group", Controller = "controller",
        LegalRepresentative = "legal_representative", SelfUse = "self_use", Mutual24m = "mutual_24m",
    }
    /// An amount that the base is the least of.
    BaseKind {
        Contract = "contract", Approved = "approved", Metered = "metered", Invoiced = "invoiced", Paid = "paid",
        /// Nothing before the buyer's acceptance, the price after it (data).
        Accepted = "accepted",
    }
    /// What money was for.
    Line {
        GpuRent = "gpu_rent", Storage = "storage", Network = "network", Security = "security",
        Adaptation = "adaptation", LlmApi = "llm_api", PrivateLlm = "private_llm",
        DomesticServers = "domestic_servers", Dataset = "dataset",
    }
    /// Whether amounts include tax.
    Tax { Gross = "gross", Net = "net", }
    /// What the base is prorated by.
    ProrateBy { None = "none", Days = "days", }
    /// How days of a span are counted.
    DayCount { Inclusive = "inclusive", ExclusiveEnd = "exclusive_end", }
    /// What a contract's span is cut to before its days are counted.
    Clip { Service = "service", }
    /// Which of the applicable tiers counts.
    Select {
        /// The first applicable one.
        First = "first",
        /// The one with the higher amount.
        Best = "best",
        /// The one that a case decides: every decision is manual.
        Decision = "decision",
    }
    /// Whether a band's rate covers everything or its own part.
    Banding { Whole = "whole", Marginal = "marginal", }
    /// What a tier is chosen for.
    TierPer { Order = "order", Segment = "segment", }
    /// How often a fixed amount is given.
    Once { Life = "life", Year = "year", }
    /// Whose counter a cap is.
    CapKey { Holder = "holder", Group = "group", Programme = "programme", Contract = "contract", Site = "site", }
    /// The span of a counter.
    CapPer {
        CalendarYear = "calendar_year", ProgrammeYear = "programme_year", Window = "window", Quarter = "quarter",
        Life = "life",
    }
    /// The act whose local date names the counter's year.
    YearOf {
        Issue = "issue", Order = "order", ServiceEnd = "service_end", Settlement = "settlement",
        Contract = "contract",
    }
    /// What a cap counts: commitments, or what closed statements made payable.
    Counted { Issued = "issued", Redeemed = "redeemed", }
    /// What happens beyond a redemption cap.
    Over { Defer = "defer", Lose = "lose", Manual = "manual", }
    /// How programmes meet on one order.
    StackMode {
        Exclusive = "exclusive", BestOf = "best_of", AddToCeiling = "add_to_ceiling", Link = "link", Free = "free",
    }
    /// The step after which a rounding applies.
    RoundAfter { Base = "base", Period = "period", Rate = "rate", Split = "split", }
    /// The act whose date picks the edition of a provider list.
    ListYearOf { Order = "order", }
    /// What a programme says about where chips come from.
    ChipRule { Any = "any", Required = "required", Tier = "tier", DeniedList = "denied_list", }
    /// Where the deal must be made.
    Venue { Any = "any", Platform = "platform", DataExchange = "data_exchange", }
    /// When a document is due.
    EvidenceStage { Apply = "apply", Order = "order", Claim = "claim", Post = "post", }
    /// What a document is.
    EvidenceKind {
        Contract = "contract", Invoice = "invoice", Payment = "payment", UsageReceipt = "usage_receipt",
        DeliveryReceipt = "delivery_receipt", Acceptance = "acceptance", UseProof = "use_proof",
        Electricity = "electricity", Commitment = "commitment", AuditReport = "audit_report",
        Certificate = "certificate", Licence = "licence", Other = "other",
    }
    /// What a stage of a case does.
    Does {
        Review = "review", Experts = "experts", Notice = "notice", Decide = "decide", Pay = "pay",
        ThirdParty = "third_party",
    }
    /// How a stage's days are counted.
    Calendar { Days = "days", WorkingDays = "working_days", }
    /// What an objection does to a public notice (公示).
    Objection { None = "none", Reopens = "reopens", Suspends = "suspends", }
    /// Why money is taken back.
    Cause {
        Fraud = "fraud", Relocation = "relocation", Purpose = "purpose", Defect = "defect",
        Overpayment = "overpayment", Compromise = "compromise",
    }
    /// Where recovered money goes.
    RecoveredTo { Fund = "fund", Treasury = "treasury", }
    /// Whose word makes a delivery accepted.
    AcceptanceRule { Signed = "signed", SignedOrDeemed = "signed_or_deemed", }
    /// What shows that a dataset was used.
    UseProof { None = "none", Statement = "statement", ComputeReceipt = "compute_receipt", }
}
